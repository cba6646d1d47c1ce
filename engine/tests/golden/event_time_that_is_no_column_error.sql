CREATE TABLE flows (ts TIMESTAMP, k TEXT,
  WATERMARK FOR te)
WITH (connector = 'test', format = 'csv');
SELECT k FROM flows;
/* expected error
line 2, column 17: table `flows`: the event time `te` is no column; columns are `ts`, `k`
*/
