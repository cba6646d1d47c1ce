/* no oracle: it has no limit */
/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,b,2
1970-01-01 00:00:03,c,4
1970-01-01 00:00:12,b,8
1970-01-01 00:00:13,c,16
1970-01-01 00:00:33,c,32
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '2', overflow = 'drop_new');
SELECT half.start, k, n, half.is_complete AS outer, all_complete FROM (
    SELECT tumble(INTERVAL '30 seconds') AS half, k, sum(total) AS n, bool_and(is_complete) AS all_complete FROM (
        SELECT k, w, total, w.is_complete AS is_complete FROM (
            SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w))
    GROUP BY k, half);
/* expected counts
beyond the limit: 2 keys, 2 rows
*/
/* expected results
1970-01-01T00:00:00 | a | 1 | false | false
1970-01-01T00:00:00 | b | 10 | false | false
1970-01-01T00:00:30 | c | 32 | true | true
*/
