CREATE TABLE flows (ts TIMESTAMP,
  k TEXT GENERATED ALWAYS AS (upper(name)))
WITH (connector = 'test', format = 'csv');
SELECT ts FROM flows;
/* expected error
line 2, column 37: there is no column `name`; there are `ts`
*/
