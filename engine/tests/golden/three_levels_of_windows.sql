/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:02,y,2
1970-01-01 00:00:12,x,4
1970-01-01 00:00:35,x,8
1970-01-01 00:01:10,y,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE VIEW tens AS SELECT tumble(INTERVAL '10 seconds') AS w, k, sum(v) AS total FROM flows GROUP BY 1, 2;
CREATE VIEW thirties AS SELECT tumble(INTERVAL '30 seconds') AS w, k, max(total) AS peak FROM tens GROUP BY 1, 2;
SELECT tumble(INTERVAL '1 minute') AS w, sum(peak) AS peaks, count(*) AS n FROM thirties GROUP BY 1;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 14 | 3
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 16 | 1
*/
