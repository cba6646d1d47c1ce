/* no oracle: a batch has no early rows */
/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:02,b,2
1970-01-01 00:00:08,c,4
1970-01-01 00:00:09,a,8
1970-01-01 00:00:13,d,16
1970-01-01 00:00:19,x,32
1970-01-01 00:00:31,c,64
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv');
CREATE TABLE sums (start TIMESTAMP, k TEXT, total BIGINT, is_final BOOLEAN)
WITH (connector = 'sink', format = 'json', emit_early = '5 seconds');
CREATE TABLE shares (start TIMESTAMP, k TEXT, n BIGINT, is_final BOOLEAN)
WITH (connector = 'sink', format = 'json', emit_early = '5 seconds');
INSERT INTO sums
SELECT w.start, k, total, w.is_final FROM (
    SELECT k, hop(INTERVAL '10 seconds', INTERVAL '20 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
INSERT INTO shares
SELECT w.start, k, count(*) OVER (PARTITION BY w) AS n, w.is_final FROM (
    SELECT k, tumble(INTERVAL '20 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected shares
1970-01-01T00:00:00 | a | 2 | false
1970-01-01T00:00:00 | a | 3 | false
1970-01-01T00:00:00 | a | 4 | false
1970-01-01T00:00:00 | a | 5 | false
1970-01-01T00:00:00 | a | 5 | true
1970-01-01T00:00:00 | b | 2 | false
1970-01-01T00:00:00 | b | 3 | false
1970-01-01T00:00:00 | b | 4 | false
1970-01-01T00:00:00 | b | 5 | false
1970-01-01T00:00:00 | b | 5 | true
1970-01-01T00:00:00 | c | 3 | false
1970-01-01T00:00:00 | c | 4 | false
1970-01-01T00:00:00 | c | 5 | false
1970-01-01T00:00:00 | c | 5 | true
1970-01-01T00:00:00 | d | 4 | false
1970-01-01T00:00:00 | d | 5 | false
1970-01-01T00:00:00 | d | 5 | true
1970-01-01T00:00:00 | x | 5 | false
1970-01-01T00:00:00 | x | 5 | true
1970-01-01T00:00:20 | c | 1 | false
1970-01-01T00:00:20 | c | 1 | true
*/
/* expected sums
1969-12-31T23:59:50 | a | 1 | false
1969-12-31T23:59:50 | a | 9 | true
1969-12-31T23:59:50 | b | 2 | false
1969-12-31T23:59:50 | b | 2 | true
1969-12-31T23:59:50 | c | 4 | false
1969-12-31T23:59:50 | c | 4 | true
1970-01-01T00:00:00 | a | 1 | false
1970-01-01T00:00:00 | a | 9 | false
1970-01-01T00:00:00 | a | 9 | true
1970-01-01T00:00:00 | b | 2 | false
1970-01-01T00:00:00 | b | 2 | true
1970-01-01T00:00:00 | c | 4 | false
1970-01-01T00:00:00 | c | 4 | true
1970-01-01T00:00:00 | d | 16 | false
1970-01-01T00:00:00 | d | 16 | true
1970-01-01T00:00:00 | x | 32 | false
1970-01-01T00:00:00 | x | 32 | true
1970-01-01T00:00:10 | d | 16 | false
1970-01-01T00:00:10 | d | 16 | true
1970-01-01T00:00:10 | x | 32 | false
1970-01-01T00:00:10 | x | 32 | true
1970-01-01T00:00:20 | c | 64 | false
1970-01-01T00:00:20 | c | 64 | true
1970-01-01T00:00:30 | c | 64 | false
1970-01-01T00:00:30 | c | 64 | true
*/
