import { readFileSync } from 'node:fs';

/** Whom PostgreSQL's files and processes belong to. */
export interface Person {
  readonly uid: number;
  readonly gid: number;
}

export const isRoot = process.getuid?.() === 0;

/** PostgreSQL refuses root: root's tests step down to postgres, or to nobody; an ordinary user stays himself. */
export const serverUser: Person = isRoot
  ? (account('postgres') ?? account('nobody') ?? { uid: 65_534, gid: 65_534 })
  : { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/** Spread into spawn's options: nothing for an ordinary user, who may not even set his own uid. */
export const asServerUser: Partial<Person> = isRoot ? serverUser : {};

/** A row of /etc/passwd. */
export function account(name: string): Person | undefined {
  const rows = readFileSync('/etc/passwd', 'utf8').split('\n');
  const fields = rows.map((row) => row.split(':')).find(([login]) => login === name);
  return fields && { uid: Number(fields[2]), gid: Number(fields[3]) };
}
