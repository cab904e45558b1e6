"""The one logger of the model service: every line carries the correlation id of the study at hand."""

from aws_lambda_powertools import Logger

from firstread.correlation import Correlation

logger = Logger(service="model_service")
logger.addFilter(Correlation())
