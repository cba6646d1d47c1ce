/* no oracle: a batch has no early rows */
/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:03,b,2
@commit
1970-01-01 00:00:08,a,4
@commit
1970-01-01 00:00:12,b,8
@commit
1970-01-01 00:00:16,a,16
1970-01-01 00:00:17,b,32
@commit
1970-01-01 00:00:31,c,64
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv');
CREATE TABLE sums (start TIMESTAMP, k TEXT, total BIGINT, is_final BOOLEAN)
WITH (connector = 'sink', format = 'json', emit_early = '5 seconds');
INSERT INTO sums
SELECT w.start, k, total, w.is_final FROM (
    SELECT k, tumble(INTERVAL '20 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected sums
1970-01-01T00:00:00 | a | 1 | false
1970-01-01T00:00:00 | a | 21 | false
1970-01-01T00:00:00 | a | 21 | true
1970-01-01T00:00:00 | a | 5 | false
1970-01-01T00:00:00 | b | 10 | false
1970-01-01T00:00:00 | b | 2 | false
1970-01-01T00:00:00 | b | 42 | false
1970-01-01T00:00:00 | b | 42 | true
1970-01-01T00:00:20 | c | 64 | false
1970-01-01T00:00:20 | c | 64 | true
*/
