/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (k TEXT, v BIGINT) WITH (connector = 'sink');
INSERT INTO out SELECT k, v FROM flows UNION ALL SELECT 'again ' || k, v FROM flows WHERE v > 1;
INSERT INTO out WITH w AS (SELECT k, v FROM flows WHERE v = 1) SELECT 'with ' || k, v FROM w;
/* expected out
again y | 2
with x | 1
x | 1
y | 2
*/
