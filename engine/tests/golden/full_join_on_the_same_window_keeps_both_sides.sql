/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:01:01,x,4
*/
/* input alarms
1970-01-01 00:01:31,y
1970-01-01 00:02:31,y
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE alarms (ts TIMESTAMP, k TEXT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
SELECT coalesce(a.window, b.window) AS w, a.total, b.n FROM
  (SELECT tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1) a
FULL JOIN (SELECT tumble(INTERVAL '1 minute') AS window, count(*) AS n FROM alarms GROUP BY 1) b
ON a.window = b.window;
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1 | ∅
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 4 | 1
{start: 1970-01-01T00:02:00, end: 1970-01-01T00:03:00} | ∅ | 1
*/
