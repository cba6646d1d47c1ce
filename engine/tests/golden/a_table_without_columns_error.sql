CREATE TABLE flows () WITH (connector = 'test', format = 'csv');
SELECT * FROM flows;
/* expected error
line 1, column 14: table `flows`: connector `test` needs its columns declared; write CREATE TABLE name (column TYPE, …) WITH (…)
*/
