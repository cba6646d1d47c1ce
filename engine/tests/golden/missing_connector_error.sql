CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (format = 'csv');
SELECT k FROM flows;
/* expected error
line 1, column 14: table `flows`: option `connector` is missing; add `connector = '…'` to WITH
*/
