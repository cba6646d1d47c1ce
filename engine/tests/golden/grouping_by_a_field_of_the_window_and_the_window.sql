/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:01:01,y,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW per_key AS SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2;
SELECT date_part('minute', window.start) AS minute, count(*) AS n FROM per_key GROUP BY window, date_part('minute', window.start);
/* expected results
0 | 2
1 | 1
*/
