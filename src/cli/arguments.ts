import { InvalidArgumentError } from 'commander';

export function timelineArgument(text: string): number {
  if (/^[1-9]\d{0,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected the number of a timeline.');
}

export function limitArgument(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a number of backups.');
}

export function majorArgument(text: string): number {
  if (/^[1-9]\d$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a major version, like 17.');
}
