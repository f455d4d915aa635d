"""What all routes share: caller checks, idempotency, limits, headers, error answers."""

from shoal.api.http import document_models as document_models
