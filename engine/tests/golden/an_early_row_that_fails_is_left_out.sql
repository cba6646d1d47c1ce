/* no oracle: a batch has no early rows */
/* input flows
1970-01-01 00:00:01,a,1
1970-01-01 00:00:08,b,4
1970-01-01 00:00:09,b,2
1970-01-01 00:00:16,a,16
1970-01-01 00:00:31,c,64
*/
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '2 seconds')
WITH (connector = 'test', format = 'csv');
CREATE TABLE failed (reason TEXT, value TEXT) WITH (connector = 'sink', format = 'json');
CREATE TABLE ratios (start TIMESTAMP, k TEXT, ratio BIGINT, is_final BOOLEAN)
WITH (connector = 'sink', format = 'json', emit_early = '5 seconds', dead_letter_table = 'failed', on_error = 'dead_letter');
-- With one row of a key there is nothing to divide by; `c` never has a second one.
INSERT INTO ratios
SELECT w.start, k, total / (n - 1), w.is_final FROM (
    SELECT k, tumble(INTERVAL '20 seconds') AS w, sum(v) AS total, count(*) AS n FROM flows GROUP BY k, w);
/* expected failed
division_by_zero | {"k":"c","tumble(20s)":{"start":"1970-01-01T00:00:20Z","end":"1970-01-01T00:00:40Z"},"sum(v)":"64","count(Int64(1))":1}
*/
/* expected ratios
1970-01-01T00:00:00 | a | 17 | false
1970-01-01T00:00:00 | a | 17 | true
1970-01-01T00:00:00 | b | 6 | false
1970-01-01T00:00:00 | b | 6 | true
*/
