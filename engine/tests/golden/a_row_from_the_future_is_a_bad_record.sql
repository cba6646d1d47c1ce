/* input flows
1970-01-01 00:00:01,x,1
bad> 1970-01-03 00:00:01,fast,2
bad> 2262-04-11 23:47:16.854775807,fastest,4
1970-01-01 00:01:05,x,8
1970-01-01 00:02:05,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv', max_future = '1 day', dead_letter_table = 'dead_letters');
CREATE TABLE dead_letters (reason TEXT, detail TEXT, position BIGINT) WITH (connector = 'sink');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected counts
bad records, future: 2
*/
/* expected dead_letters
future | the event time 1970-01-03T00:00:01 is after 1970-01-02T00:00:00, the latest that `max_future` allows | 1
future | the event time 2262-04-11T23:47:16.854775807 is after 1970-01-02T00:00:00, the latest that `max_future` allows | 2
*/
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 1
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 8
x | {start: 1970-01-01T00:02:00, end: 1970-01-01T00:03:00} | 16
*/
