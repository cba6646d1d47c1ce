CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv', max_keys = '2', overflow = 'drop_new');
SELECT w.is_complete, n FROM (
    SELECT w, tumble(INTERVAL '30 seconds') AS half, sum(total) AS n FROM (
        SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS total FROM flows GROUP BY k, w)
    GROUP BY w, half);
/* expected error
line 3, column 1: `is_complete` above windows of windows that are grouped by the inner window too; select `w.is_complete` of the inner window `w` below the outer one, and aggregate it: bool_and(is_complete)
*/
