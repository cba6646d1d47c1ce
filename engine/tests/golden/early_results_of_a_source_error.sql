CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', emit_early = '5 seconds');
CREATE TABLE sums (start TIMESTAMP, k TEXT, total BIGINT)
WITH (connector = 'sink', format = 'json');
INSERT INTO sums
SELECT w.start, k, total FROM (
    SELECT k, tumble(INTERVAL '20 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected error
line 2, column 43: table `flows`: `emit_early` is for a table that is written to; move it to the table that the query inserts into
*/
