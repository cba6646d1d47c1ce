CREATE TABLE flows (ts TIMESTAMP,
  k TEXTS)
WITH (connector = 'test', format = 'csv');
SELECT ts FROM flows;
/* expected error
line 2, column 3: unsupported SQL type TEXTS
*/
