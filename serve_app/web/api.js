const at = document.getElementById("api");
SwaggerUIBundle({ domNode: at, url: at.dataset.document, deepLinking: true, validatorUrl: null, docExpansion: "list", defaultModelsExpandDepth: 0 });
