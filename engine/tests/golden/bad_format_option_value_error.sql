CREATE TABLE flows (ts TIMESTAMP, k TEXT)
WITH (connector = 'test', format = 'csv', 'csv.columns' = 'named');
SELECT k FROM flows;
/* expected error
line 2, column 43: table `flows`: option `csv.columns` cannot be `named`; expected 'position', 'header', 'nfdump' or a list of names such as 'a,b,c'
*/
