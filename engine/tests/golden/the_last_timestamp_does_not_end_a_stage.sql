/* no oracle: the window of the last timestamp ends beyond all timestamps, so it stays open */
/* input flows
1970-01-01 00:00:01,1
2262-04-11 23:47:16.854775807,2
late> 1970-01-01 00:01:05,4
late> 1970-01-01 00:02:05,8
*/
CREATE TABLE flows (ts TIMESTAMP, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', late_table = 'late');
CREATE TABLE late (ts TIMESTAMP, v BIGINT) WITH (connector = 'sink');
SELECT tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1;
/* expected counts
bad records, no_event_time: 1
*/
/* expected late
*/
/* expected results
{start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
{start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 4
{start: 1970-01-01T00:02:00, end: 1970-01-01T00:03:00} | 8
*/
