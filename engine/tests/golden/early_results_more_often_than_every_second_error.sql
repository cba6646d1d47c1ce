CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv');
CREATE TABLE sums (start TIMESTAMP, k TEXT, total BIGINT)
WITH (connector = 'sink', format = 'json', key = 'k', emit_early = '900ms');
INSERT INTO sums
SELECT w.start, k, total FROM (
    SELECT k, tumble(INTERVAL '20 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected error
line 4, column 55: table `sums`: option `emit_early` cannot be `900ms`; expected a duration of a second or more, such as '1 minute'
*/
