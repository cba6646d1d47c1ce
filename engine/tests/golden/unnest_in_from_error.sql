CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts)
WITH (connector = 'test', format = 'csv');
SELECT f.k, p FROM flows f CROSS JOIN unnest(string_to_array(f.k, '-')) AS u(p);
/* expected error
line 3, column 34: a join without windows is not supported; aggregate both sides by a window and join on the window
*/
