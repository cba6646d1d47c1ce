CREATE TABLE flows (ts TIMESTAMP,
  k TEXT PRIMARY KEY)
WITH (connector = 'test', format = 'csv');
SELECT ts FROM flows;
/* expected error
line 2, column 10: column option `PRIMARY` is not supported; use NOT NULL, METADATA FROM '…' or GENERATED ALWAYS AS (…)
*/
