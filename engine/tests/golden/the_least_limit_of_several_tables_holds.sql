/* no oracle: it has no limit */
/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:09,b,2
*/
/* input more
1970-01-01 00:00:01,a,4
1970-01-01 00:00:02,c,8
1970-01-01 00:00:11,a,16
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '2');
CREATE TABLE more (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '1', overflow = 'drop_new');
SELECT w.start, k, total, w.is_complete FROM (
    SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM (SELECT * FROM flows UNION ALL SELECT * FROM more) GROUP BY k, w);
/* expected counts
beyond the limit: 2 keys, 2 rows
*/
/* expected results
1970-01-01T00:00:00 | a | 5 | false
1970-01-01T00:00:10 | a | 16 | true
*/
