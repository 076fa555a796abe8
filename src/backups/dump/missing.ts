/** Objects that did not come back as they were, and why. */
export interface Missing {
  readonly what: string;
  readonly because: string;
}
