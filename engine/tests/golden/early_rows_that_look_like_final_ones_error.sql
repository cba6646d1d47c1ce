CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv');
CREATE TABLE sums (start TIMESTAMP, k TEXT, total BIGINT)
WITH (connector = 'sink', format = 'json', emit_early = '5 seconds');
INSERT INTO sums
SELECT w.start, k, total FROM (
    SELECT k, tumble(INTERVAL '20 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected error
line 5, column 13: table `sums` has `emit_early`, but its early rows would look like final ones; select `w.is_final` of the window `w` into a BOOLEAN column, or, for connector `kafka`, add the option key = '…' with the window and its keys, so that the last row of a key is the final one
*/
