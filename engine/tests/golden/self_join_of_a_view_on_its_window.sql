/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:00:03,z,4
1970-01-01 00:01:01,x,8
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2;
SELECT a.k AS small, b.k AS large, a.window.start AS s FROM per_key a JOIN per_key b ON a.window = b.window AND a.total < b.total;
/* expected results
x | y | 1970-01-01T00:00:00
x | z | 1970-01-01T00:00:00
y | z | 1970-01-01T00:00:00
*/
