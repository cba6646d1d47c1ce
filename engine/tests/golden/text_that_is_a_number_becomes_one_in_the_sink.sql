/* input flows
1970-01-01 00:00:01,12,1
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (k BIGINT, ts TEXT, d DECIMAL(6, 2)) WITH (connector = 'sink');
INSERT INTO out SELECT k, ts, v FROM flows;
/* expected out
12 | 1970-01-01T00:00:01 | 1.00
*/
