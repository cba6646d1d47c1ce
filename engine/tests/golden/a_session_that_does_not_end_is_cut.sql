/* input flows
1970-01-01 00:00:01,a
1970-01-01 00:00:04,a
1970-01-01 00:00:07,a
1970-01-01 00:00:09,a
1970-01-01 00:00:12,a
1970-01-01 00:00:15,a
1970-01-01 00:00:18,a
1970-01-01 00:00:19,b
1970-01-01 00:00:21,a
1970-01-01 00:00:22,b
1970-01-01 00:00:23,a
*/
SET max_session = '10 seconds';
CREATE TABLE flows (ts TIMESTAMP, k TEXT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT w.start, w."end", w.is_cut, k, n FROM (
    SELECT session(INTERVAL '4 seconds') AS w, k, count(*) AS n FROM flows GROUP BY w, k);
/* expected results
1970-01-01T00:00:01 | 1970-01-01T00:00:22 | true | a | 7
1970-01-01T00:00:19 | 1970-01-01T00:00:26 | false | b | 2
1970-01-01T00:00:21 | 1970-01-01T00:00:27 | false | a | 2
*/
