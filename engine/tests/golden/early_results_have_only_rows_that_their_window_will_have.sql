/* no oracle: a batch has no early rows */
/* input flows
a> 1970-01-01 00:00:01,1
b> 1970-01-01 00:00:02,2
a> 1970-01-01 00:00:17,4
a> 1970-01-01 00:00:07,8
b> 1970-01-01 00:00:04,16
@commit
b> 1970-01-01 00:00:40,0
a> 1970-01-01 00:00:40,0
*/
-- The row at 7 is late for the windows that end at 10 and 15, although they are still open because of split b.
CREATE TABLE flows (ts TIMESTAMP, v BIGINT, WATERMARK FOR ts) WITH (connector = 'test', format = 'csv');
CREATE TABLE sums (start TIMESTAMP, total BIGINT, is_final BOOLEAN)
WITH (connector = 'sink', format = 'json', emit_early = '4 seconds');
INSERT INTO sums
SELECT w.start, total, w.is_final FROM (
    SELECT hop(INTERVAL '5 seconds', INTERVAL '15 seconds') AS w, sum(v) AS total FROM flows GROUP BY w);
/* expected sums
1969-12-31T23:59:50 | 19 | false
1969-12-31T23:59:50 | 19 | true
1969-12-31T23:59:55 | 19 | false
1969-12-31T23:59:55 | 19 | true
1970-01-01T00:00:00 | 19 | false
1970-01-01T00:00:00 | 19 | true
1970-01-01T00:00:05 | 12 | false
1970-01-01T00:00:05 | 12 | true
1970-01-01T00:00:10 | 4 | false
1970-01-01T00:00:10 | 4 | true
1970-01-01T00:00:15 | 4 | false
1970-01-01T00:00:15 | 4 | true
1970-01-01T00:00:30 | 0 | false
1970-01-01T00:00:30 | 0 | false
1970-01-01T00:00:30 | 0 | true
1970-01-01T00:00:35 | 0 | false
1970-01-01T00:00:35 | 0 | false
1970-01-01T00:00:35 | 0 | true
1970-01-01T00:00:40 | 0 | false
1970-01-01T00:00:40 | 0 | false
1970-01-01T00:00:40 | 0 | true
*/
