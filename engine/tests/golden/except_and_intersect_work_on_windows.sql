/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:03,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW xs AS SELECT k, tumble(INTERVAL '1 minute') AS window FROM flows GROUP BY 1, 2;
CREATE VIEW big AS SELECT k, tumble(INTERVAL '1 minute') AS window FROM flows WHERE v > 1 GROUP BY 1, 2;
SELECT k, window FROM xs EXCEPT SELECT k, window FROM big;
SELECT k, window FROM xs INTERSECT SELECT k, window FROM big;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00}
*/
/* expected results_2
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00}
y | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00}
*/
