CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT 'Grüße 😀' AS é, portt FROM flows;
/* expected error
line 3, column 24: there is no column `portt`; there are `ts`, `k`, `v`
*/
