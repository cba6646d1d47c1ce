/* no oracle: it has no limit */
/* input flows
b> 1970-01-01 00:00:01,x,1
a> 1970-01-01 00:00:01,x,2
a> 1970-01-01 00:00:09,x,4
a> 1970-01-01 00:00:02,y,8
b> 1970-01-01 00:00:03,x,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '1', overflow = 'drop_new');
SELECT w.start, k, total, w.is_complete FROM (
    SELECT k, hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected counts
beyond the limit: 1 keys, 1 rows
*/
/* expected results
1969-12-31T23:59:55 | x | 19 | true
1970-01-01T00:00:00 | x | 23 | false
1970-01-01T00:00:05 | x | 4 | true
*/
