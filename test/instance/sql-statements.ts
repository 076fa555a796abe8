/** Statements that a semicolon inside could cut: each is one, and PostgreSQL takes each as one. */
export const statements: readonly string[] = [
  'SELECT 1 /* one /* inside; another */ still; a comment */ AS nested',
  'SELECT 2 /* /* /* ; */ ; */ ; */',
  'SELECT 3 /*/ ; */',
  'SELECT 4 /***; **/',
  "SELECT '/* ' || ';' || ' */'",
  "SELECT 5 -- it's; /* no\n AS after_a_line",
  'SELECT $$;$$ || $a$;$$;$a$ || $b$ $a$; $b$',
  'SELECT $ä_1$;$ä_1$',
  'SELECT 6 AS a$b$c',
  "SELECT E'it\\'s; one' || e'\\\\' || ';'",
  "SELECT E'two\\\\'\n'lines\\'; one string'",
  "SELECT E'three' -- goes on; here\n'lines\\'; one string'",
  "SELECT 'it''s; plain\\'",
  "SELECT N';' || B'1'::text || X'1F'::text || U&'\\003b;'",
  'SELECT 7 AS U&"d\\0061t\\+000061;"',
  'SELECT 8 AS "a "";"" b"',
  'SELECT 9 AS größe_;',
  'SELECT (10) - -11 AS "--;"',
  'CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE plpgsql AS $body$ BEGIN RETURN $q$;$q$; END $body$',
  'CREATE TEMP TABLE a (i int)',
  'CREATE RULE r AS ON DELETE TO a DO ALSO (SELECT 1; SELECT 2)',
].map((statement) => statement.replace(/;$/, ''));

/** Since PostgreSQL 14. */
export const atomic: readonly string[] = [
  'CREATE FUNCTION pg_temp.g(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN i > 0 THEN 1 END; SELECT 2; END',
];
