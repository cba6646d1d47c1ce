CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv');
CREATE TABLE sums (start TIMESTAMP, k TEXT, total BIGINT) WITH (connector = 'sink', format = 'json', max_keys = '2');
INSERT INTO sums SELECT w.start, k, total FROM (
    SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w);
/* expected error
line 3, column 102: table `sums`: `max_keys` is for a table that is read; move it to the table that the query reads
*/
