/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:02,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW ends AS SELECT k, window.start AS s, window."end" AS e, v FROM (SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS v FROM flows GROUP BY 1, 2);
SELECT a.k, b.k AS other, a.s, a.v + b.v AS both FROM ends a JOIN ends b ON a.s = b.s AND a.e = b.e AND a.k < b.k;
/* expected results
x | y | 1970-01-01T00:00:00 | 3
*/
