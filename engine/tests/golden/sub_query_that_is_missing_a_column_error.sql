CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT k FROM (SELECT k FROM (SELECT k FROM flows) a WHERE v > 1) b;
/* expected error
line 3, column 60: there is no column `v`; there are `k`
*/
