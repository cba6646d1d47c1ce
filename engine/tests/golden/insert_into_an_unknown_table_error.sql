CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
CREATE TABLE out (k TEXT) WITH (connector = 'sink');
INSERT INTO alerts SELECT k FROM flows;
/* expected error
line 4, column 13: there is no table `alerts` to insert into; there are `flows`, `out`; add CREATE TABLE alerts (…) WITH (connector = '…')
*/
