CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test',
  format = '${env:MISSING');
SELECT k FROM flows;
/* expected error
line 3, column 3: `${env:MISSING` has `${` without `}`
*/
