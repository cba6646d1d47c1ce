CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k, v * 2 AS twice FROM flows
WHERE twice > 1;
/* expected error
line 4, column 7: there is no column `twice`; there are `ts`, `k`, `v`
*/
