/* no oracle: it has no limit */
/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,b,2
1970-01-01 00:00:03,c,4
1970-01-01 00:00:04,a,8
1970-01-01 00:00:05,d,16
1970-01-01 00:00:06,c,32
1970-01-01 00:00:12,c,64
1970-01-01 00:00:13,d,128
1970-01-01 00:00:21,d,256
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '2', overflow = 'drop_new');
CREATE TABLE sums (start TIMESTAMP, k TEXT, total BIGINT, is_final BOOLEAN, is_complete BOOLEAN)
WITH (connector = 'sink', format = 'json', emit_early = '1 second');
INSERT INTO sums SELECT w.start, k, total, w.is_final, w.is_complete FROM (
    SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected counts
beyond the limit: 3 keys, 3 rows
*/
/* expected sums
1970-01-01T00:00:00 | a | 1 | false | true
1970-01-01T00:00:00 | a | 9 | false | false
1970-01-01T00:00:00 | a | 9 | true | false
1970-01-01T00:00:00 | b | 2 | false | false
1970-01-01T00:00:00 | b | 2 | false | true
1970-01-01T00:00:00 | b | 2 | true | false
1970-01-01T00:00:10 | c | 64 | false | true
1970-01-01T00:00:10 | c | 64 | true | true
1970-01-01T00:00:10 | d | 128 | false | true
1970-01-01T00:00:10 | d | 128 | true | true
1970-01-01T00:00:20 | d | 256 | false | true
1970-01-01T00:00:20 | d | 256 | true | true
*/
