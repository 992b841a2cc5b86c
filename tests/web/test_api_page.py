"""The page of the API in a real browser that knows no other server than this one."""

from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.web.browser import CHROMEDRIVER, CHROMIUM, page_at

pytestmark = pytest.mark.skipif(
    not (CHROMIUM.exists() and CHROMEDRIVER.exists()), reason="the browser tests need Debian's packages chromium and chromium-driver"
)


def test_it_shows_every_operation_and_sends_one(server_url: str, tmp_path: Path) -> None:
    with page_at(server_url + "docs", tmp_path / "profile") as page:
        driver = page.driver
        page.wait(lambda: len(driver.find_elements(By.CSS_SELECTOR, ".opblock")) >= 14, "the operations")
        assert "/v1/audio/speech" in driver.page_source
        driver.find_element(By.CSS_SELECTOR, "#operations-health-get_readyz .opblock-summary-control").click()
        page.wait(lambda: driver.find_elements(By.CSS_SELECTOR, ".try-out__btn"), "what may be tried")
        driver.find_element(By.CSS_SELECTOR, ".try-out__btn").click()
        page.wait(lambda: driver.find_elements(By.CSS_SELECTOR, ".execute"), "the button that sends")
        driver.find_element(By.CSS_SELECTOR, ".execute").click()
        page.wait(lambda: driver.find_elements(By.CSS_SELECTOR, ".live-responses-table .response-col_status"), "the answer")
        assert "200" in driver.find_element(By.CSS_SELECTOR, ".live-responses-table tbody .response-col_status").text
