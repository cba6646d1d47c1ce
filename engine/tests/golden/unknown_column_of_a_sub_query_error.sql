CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT w.k, w.packets FROM (
  SELECT k, tumble(INTERVAL '1 minute') AS window, sum(v) AS total FROM flows GROUP BY 1, 2) w;
/* expected error
line 3, column 13: there is no column `packets`; there are `k`, `window`, `total`
*/
