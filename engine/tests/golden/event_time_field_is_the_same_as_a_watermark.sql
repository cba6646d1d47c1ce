/* input flows
1970-01-01 00:00:01,x,1
1970-01-01 00:00:59,x,1
1970-01-01 00:01:03,x,4
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT) WITH (connector = 'test', format = 'csv', event_time_field = 'ts');
SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS v FROM flows GROUP BY 1, 2;
/* expected results
x | {start: 1970-01-01T00:00:00, end: 1970-01-01T00:01:00} | 2
x | {start: 1970-01-01T00:01:00, end: 1970-01-01T00:02:00} | 4
*/
