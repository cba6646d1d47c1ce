CREATE TABLE flows (ts TIMESTAMP,
  k TEXTS)
WITH (connector = 'test', format = 'csv');
SELECT ts FROM flows;
/* expected error
line 1, column 1: unsupported SQL type TEXTS
*/
