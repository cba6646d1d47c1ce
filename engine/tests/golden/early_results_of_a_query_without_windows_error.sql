CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv');
CREATE TABLE sums (start TIMESTAMP, k TEXT, total BIGINT)
WITH (connector = 'sink', format = 'json', key = 'k', emit_early = '5 seconds');
INSERT INTO sums
SELECT ts, k, v FROM flows;
/* expected error
line 5, column 13: table `sums` has `emit_early`, but the query has no window whose results could be early; leave `emit_early` out, or GROUP BY tumble(…), hop(…) or session(…)
*/
