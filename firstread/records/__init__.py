"""DynamoDB: tables and repositories. The only package that knows them."""
