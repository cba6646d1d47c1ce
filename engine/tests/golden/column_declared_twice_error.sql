CREATE TABLE flows (ts TIMESTAMP, k TEXT,
  ts TEXT)
WITH (connector = 'test', format = 'csv');
SELECT ts FROM flows;
/* expected error
line 2, column 3: table `flows`: column `ts` is declared twice
*/
