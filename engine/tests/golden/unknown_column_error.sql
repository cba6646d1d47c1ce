CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k,
       port FROM flows;
/* expected error
line 4, column 8: there is no column `port`; there are `ts`, `k`, `v`
*/
