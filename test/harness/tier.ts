import { test } from 'vitest';

/** `npm run test:all`: everything, on every major that is installed. */
export const everywhere = process.env['DBKIT_TEST_ALL'] === '1';

/** `npm run test:long`: every test and every disaster. `npm test` runs a sibling that holds the same promise. */
export const isLongTier = everywhere || process.env['DBKIT_TEST_LONG'] === '1';

/** A test of the long tier. */
export const nightly = test.skipIf(!isLongTier);
